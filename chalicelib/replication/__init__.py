"""The multi-datacenter half: policy, links, realtime, sink, fullsync, proxy_get, names, status."""
