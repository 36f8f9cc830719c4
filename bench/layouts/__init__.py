"""A cluster as others lay it out: our own generators of the texts that their tools load."""
