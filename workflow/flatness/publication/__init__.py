"""What comes out of a study, as one file, and everything that is made of it; never torch."""
