"""Pages, by audience: login, desk, board, admin; and what they share."""
