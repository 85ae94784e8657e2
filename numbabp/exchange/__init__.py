"""Networks for other libraries, and those of other libraries as networks of numbabp.

What stands here knows architectures and parameters alone: `Network` exports itself by `exporting`, and
`numbabp.from_torch` and its kin, which make networks, are in `numbabp.loading`. The other library is imported
when it is asked for. Models come and go as objects; no file of another library is read. `c` writes source for
microcontrollers.
"""
