# Floor 2: one file per foreign library.
libpromptfpm_a_SOURCES += src/port/token.c src/port/token.h
libpromptfpm_a_SOURCES += src/port/http.c src/port/http.h src/port/http_pool.c src/port/http_pair.h
libpromptfpm_a_SOURCES += src/port/tls.c src/port/tls.h
libpromptfpm_a_SOURCES += src/port/json.c src/port/json.h
libpromptfpm_a_SOURCES += src/port/regex.c src/port/regex.h
libpromptfpm_a_SOURCES += src/port/yaml.c src/port/yaml.h
libpromptfpm_a_SOURCES += src/port/fcgi.c src/port/fcgi.h
libpromptfpm_a_SOURCES += src/port/fcgi_listen.c
libpromptfpm_a_SOURCES += src/port/ini.c src/port/ini.h
libpromptfpm_a_SOURCES += src/port/db.c src/port/db.h src/port/db_queue.c src/port/db_queue.h src/port/db_item.c src/port/db_item.h src/port/db_session.c src/port/db_session.h
libpromptfpm_a_SOURCES += src/port/db_wire.c src/port/db_wire.h src/port/db_conninfo.c src/port/db_conninfo.h
