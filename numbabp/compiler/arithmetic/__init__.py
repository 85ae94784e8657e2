"""The arithmetic of compiled code: strict, or with subnormal numbers taken as zero."""
