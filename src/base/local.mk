# Floor 1: libc only.
libpromptfpm_a_SOURCES += src/base/account.c src/base/account.h
libpromptfpm_a_SOURCES += src/base/address.c src/base/address.h
libpromptfpm_a_SOURCES += src/base/arena.c src/base/arena.h
libpromptfpm_a_SOURCES += src/base/buf.c src/base/buf.h
libpromptfpm_a_SOURCES += src/base/clock.c src/base/clock.h
libpromptfpm_a_SOURCES += src/base/log.c src/base/log.h
libpromptfpm_a_SOURCES += src/base/rate.c src/base/rate.h
libpromptfpm_a_SOURCES += src/base/rc.c src/base/rc.h
libpromptfpm_a_SOURCES += src/base/secret.c src/base/secret.h
libpromptfpm_a_SOURCES += src/base/settings.c src/base/settings.h
libpromptfpm_a_SOURCES += src/base/str.c src/base/str.h
libpromptfpm_a_SOURCES += src/base/value.c src/base/value.h
libpromptfpm_a_SOURCES += src/base/peer.c src/base/peer.h
