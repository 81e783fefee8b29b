"""From observations back to what caused them: the initial state, or a parameter of the equation, and how sure that is.

``observations.py`` is what was measured, ``sensing.py`` what a field would have shown, ``prior.py`` what is known
beforehand, ``variational.py`` the state (4D-Var), ``posterior.py`` and ``posterior.py`` the parameters, ``forward.py``
when it pays. A forward model (``forward.py``) is an emulator or a solver: nothing else here knows which.
"""
