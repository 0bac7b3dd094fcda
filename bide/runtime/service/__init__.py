"""The doors: a runtime as a guest, a service, and one layer of operations for both."""
