"""The read side: selects in, frozen dataclasses out, filtered by who asks."""
