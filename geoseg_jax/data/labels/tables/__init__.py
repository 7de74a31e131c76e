"""Tables of classes, one module a data set."""
