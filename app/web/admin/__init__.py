"""The admin pages. Every one of them asks for the role at one place: the router that holds them all."""
