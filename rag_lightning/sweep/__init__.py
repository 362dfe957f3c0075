"""Many runs that answer a question: chosen by a sweeper, done by workers, each left as a record."""
