"""The matching kernel: items and agents in, offers out. No database, no clock of its own."""
