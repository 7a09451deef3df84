"""The cooperative itself: people, law, books and networks, without HTTP."""
