"""Exact per-sample Jacobian primitives of a network.

Notation, used in every module of this folder:

| letter | meaning                                             |
| ------ | --------------------------------------------------- |
| n      | samples differentiated together (one chunk)         |
| N      | outputs of the network                              |
| M      | entries of one flattened input                      |
| J      | input Jacobian df/dx, (n, N, M)                     |
| K      | parameter Jacobian df/dtheta, never formed          |
| a      | input of a layer, first axis the samples            |
| d      | derivative of one output with respect to the layer's output (a cotangent) |
"""
