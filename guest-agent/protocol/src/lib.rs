//! What is said between host and guest: the Docker Engine API's documents, Proa's own, stream framing.
