"""UniPinRec (arXiv 2606.00422): the PinRec network that also ranks, by masked action modelling."""
