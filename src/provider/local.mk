# Floor 4: who answers prompts.
libpromptfpm_a_SOURCES += src/provider/provider.c src/provider/provider.h
libpromptfpm_a_SOURCES += src/provider/call.c src/provider/call.h
libpromptfpm_a_SOURCES += src/provider/sse.c src/provider/sse.h
libpromptfpm_a_SOURCES += src/provider/usage.c src/provider/usage.h
libpromptfpm_a_SOURCES += src/provider/openai.c src/provider/openai.h
libpromptfpm_a_SOURCES += src/provider/sample.c src/provider/sample.h
libpromptfpm_a_SOURCES += src/provider/anthropic.c src/provider/anthropic.h src/provider/anthropic_schema.c src/provider/anthropic_schema.h
