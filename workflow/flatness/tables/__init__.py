"""Tables as pure functions of netCDF files; never torch."""
