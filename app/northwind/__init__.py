"""The demo: Northwind Outfitters, its people, and colleagues who work. `app.demo` is the network they listen to."""
