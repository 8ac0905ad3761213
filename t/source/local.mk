# Tests of the source tree itself: what includes what, that the files which show the settings agree with their table, that packages have their reasons, that the daemon
# may what it does.
source_tests += t/source/floors.t
source_tests += t/source/packages.t
source_tests += t/source/settings.t
source_tests += t/source/rights.t
