# Fuzz drivers: EXTRA_PROGRAMS += t/fuzz/NAME
