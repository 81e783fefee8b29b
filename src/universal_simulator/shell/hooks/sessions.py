"""Hooks of its own for every session: of two in one process, neither records, locks or times for the other."""

from collections.abc import Callable, Sequence

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl


class SessionHooks:
    """Registers new hooks with a session when its context is created; Kedro itself gives all sessions the same ones."""

    def __init__(self, make: Callable[[], Sequence[object]]) -> None:
        self._make = make

    @hook_impl(tryfirst=True)
    def after_context_created(self, context: KedroContext) -> None:
        """Replace those of an earlier context of the session, and let the new ones see this one."""
        made, manager = self._make(), context._hook_manager
        kinds = tuple({type(hooks) for hooks in made})
        for old in [one for one in manager.get_plugins() if isinstance(one, kinds)]:
            manager.unregister(old)
        others = list(manager.get_plugins())
        for hooks in made:
            manager.register(hooks)
        manager.subset_hook_caller("after_context_created", others)(context=context)
