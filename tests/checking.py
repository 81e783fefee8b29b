"""How annotations are checked while tests run: shapes and types of every call; an int is a float, as PEP 484 says."""

from beartype import BeartypeConf, beartype

annotations = beartype(conf=BeartypeConf(is_pep484_tower=True))
