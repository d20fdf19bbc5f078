"""The steps of the sampler chain. Plain numpy, no torch: each step works on `candidates.Candidates`."""
