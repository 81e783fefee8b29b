"""Others on the same data at the same cost: persistence, a U-Net, an FNO, and the numerical solver, run coarse."""
