"""The champion: held against the rule, promoted, demoted."""
