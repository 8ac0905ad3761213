# The stand-in for a provider
test_tools += t/standin/standin
t_standin_standin_SOURCES = t/standin/standin.c t/standin/anthropic.c t/standin/call.c t/standin/call.h t/standin/control.c t/standin/control.h \
	t/standin/counts.c t/standin/counts.h t/standin/directive.c t/standin/directive.h t/standin/http.c t/standin/http.h t/standin/openai.c \
	t/standin/record.c t/standin/record.h t/standin/sample.c t/standin/sample.h t/standin/text.c t/standin/text.h t/standin/tries.c t/standin/tries.h
t_standin_standin_LDADD = -levent_openssl $(EVENT_LIBS) $(JSON_LIBS) $(OPENSSL_LIBS)
