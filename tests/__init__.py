"""Tests lie as the package does; benchmarks, faults and gpu are programs, too."""
