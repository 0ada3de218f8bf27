"""From finished lanes to curves, PBx and intervals; reads data frames and writes nothing."""
