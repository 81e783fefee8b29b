"""Several processes, on one machine or many, for one ``kedro run``: they train, encode and evaluate side by side.

Kedro runs in one process, which hands them one node after the other (``team.py``) as a file that says what to call and
where inputs and results lie (``job.py``). They come from torch's elastic launcher (``agent.py``), which starts all of
them anew where one dies, and each of them takes its part (``worker.py``, ``training/sharing.py``).
"""
