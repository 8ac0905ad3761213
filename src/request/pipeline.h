/*
 * pipeline.h - one request, from its first byte to its settlement.
 */
#ifndef REQUEST_PIPELINE_H
#define REQUEST_PIPELINE_H

#include "port/fcgi.h"
#include "request/service.h"

/* Serves the request that fcgi_accept just took, and finishes it. Whatever happens, the caller got an answer (or had left), and a reservation, if one was
 * made, is settled or queued to be. `fcgi` is ready for the next accept. */
void pipeline_serve(struct service *service, struct fcgi *fcgi);

#endif
