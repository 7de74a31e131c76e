"""The embedded synthetic world: streets, rooms and single objects, ray-cast, with exact truth."""
