"""Finding photos: searches and indexes, re-rankers, text queries; every one returns a Ranking in a defined order."""
