"""Tables larger than memory: rows of files and pipes that pass by once, made into batches for a network."""
