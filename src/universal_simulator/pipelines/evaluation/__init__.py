"""How good the trained parts are together."""
