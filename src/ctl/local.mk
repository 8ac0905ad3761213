# Floor 6: the operator's command.
bin_PROGRAMS += promptctl
promptctl_SOURCES = src/ctl/main.c src/ctl/ctl.h
promptctl_SOURCES += src/ctl/config.c src/ctl/option.c src/ctl/print.c src/ctl/read.c src/ctl/session.c
promptctl_SOURCES += src/ctl/audit.c
promptctl_SOURCES += src/ctl/call.c src/ctl/fastcgi.c src/ctl/fastcgi.h
promptctl_SOURCES += src/ctl/configtest.c
promptctl_SOURCES += src/ctl/correct.c
promptctl_SOURCES += src/ctl/doctor.c
promptctl_SOURCES += src/ctl/invoice.c
promptctl_SOURCES += src/ctl/key.c
promptctl_SOURCES += src/ctl/ledger.c
promptctl_SOURCES += src/ctl/lint.c
promptctl_SOURCES += src/ctl/migrate.c
promptctl_SOURCES += src/ctl/model.c
promptctl_SOURCES += src/ctl/new.c
promptctl_SOURCES += src/ctl/refused.c
promptctl_SOURCES += src/ctl/render.c
promptctl_SOURCES += src/ctl/supplier.c
promptctl_SOURCES += src/ctl/usage.c
promptctl_LDADD = $(product_libs)

bashcompletiondir = $(datadir)/bash-completion/completions
dist_bashcompletion_DATA = etc/completion/promptctl.bash
