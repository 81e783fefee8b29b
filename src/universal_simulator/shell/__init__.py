"""Around Kedro: configuration, runner, locks, refusals and hooks."""
