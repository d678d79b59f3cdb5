"""A report that is looked at while its studies grow: a page of a server of this machine alone."""
