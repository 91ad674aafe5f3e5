"""ORDER: everything that touches the search engine or happens at query time."""
