"""Pure functions of the stored primitives; never torch."""
