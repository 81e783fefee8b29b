"""Where numbers are computed: device, threads, the share of a process, seeds."""
