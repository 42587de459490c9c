"""The truth on disk: collections, people, faces and their vectors, in SQL."""
