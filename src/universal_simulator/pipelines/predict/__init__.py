"""A trained model on fields of the user's."""
