"""The demo: a simulated social network whose customers write to Northwind Outfitters, behind a real HTTP server."""
