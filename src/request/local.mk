# Floor 5: one request, step by step.
libpromptfpm_a_SOURCES += src/request/request.h src/request/pipeline.c src/request/pipeline.h
libpromptfpm_a_SOURCES += src/request/service.c src/request/service.h
libpromptfpm_a_SOURCES += src/request/premises.c src/request/premises.h
libpromptfpm_a_SOURCES += src/request/key_file.c src/request/key_file.h
libpromptfpm_a_SOURCES += src/request/problem.c src/request/problem.h
libpromptfpm_a_SOURCES += src/request/read.c src/request/authenticate.c src/request/validate.c src/request/render.c src/request/idempotency.c
libpromptfpm_a_SOURCES += src/request/admit.c src/request/generate.c src/request/retry.c src/request/fallback.c src/request/check.c src/request/repair.c src/request/respond.c src/request/settle.c
libpromptfpm_a_SOURCES += src/request/accept.c src/request/accept.h
libpromptfpm_a_SOURCES += src/request/caller.c src/request/caller.h
libpromptfpm_a_SOURCES += src/request/cost.c src/request/cost.h
libpromptfpm_a_SOURCES += src/request/refusal.c src/request/refusal.h
libpromptfpm_a_SOURCES += src/request/settlement.c src/request/settlement.h
libpromptfpm_a_SOURCES += src/request/answers.c src/request/answers.h
libpromptfpm_a_SOURCES += src/request/ready.c src/request/ready.h
libpromptfpm_a_SOURCES += src/request/ticket.c src/request/ticket.h
libpromptfpm_a_SOURCES += src/request/ledger.c src/request/ledger.h
libpromptfpm_a_SOURCES += src/request/report.c
