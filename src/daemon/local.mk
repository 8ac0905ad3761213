# Floor 6: the daemon.
sbin_PROGRAMS += prompt-fpm
prompt_fpm_SOURCES = src/daemon/main.c
prompt_fpm_SOURCES += src/daemon/background.c src/daemon/background.h
prompt_fpm_SOURCES += src/daemon/backoff.c src/daemon/backoff.h
prompt_fpm_SOURCES += src/daemon/child.c src/daemon/child.h
prompt_fpm_SOURCES += src/daemon/config.c src/daemon/config.h
prompt_fpm_SOURCES += src/daemon/janitor.c src/daemon/janitor.h
prompt_fpm_SOURCES += src/daemon/listener.c src/daemon/listener.h
prompt_fpm_SOURCES += src/daemon/lobby.c src/daemon/lobby.h
prompt_fpm_SOURCES += src/daemon/logfile.c src/daemon/logfile.h
prompt_fpm_SOURCES += src/daemon/master.c src/daemon/master.h
prompt_fpm_SOURCES += src/daemon/pool.c src/daemon/pool.h
prompt_fpm_SOURCES += src/daemon/privilege.c src/daemon/privilege.h
prompt_fpm_SOURCES += src/daemon/scoreboard.c src/daemon/scoreboard.h
prompt_fpm_SOURCES += src/daemon/status.c src/daemon/status.h
prompt_fpm_SOURCES += src/daemon/worker.c src/daemon/worker.h
prompt_fpm_LDADD = $(product_libs)
