"""The controlled comparison: arms, labels, seeds and the like in; one honest table out."""
