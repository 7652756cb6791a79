"""Lightning callbacks: each hands what happens to one policy and carries out its answer."""
