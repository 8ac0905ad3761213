# What `make bench` starts beside the product
test_tools += t/bench/load
t_bench_load_SOURCES = t/bench/load.c t/bench/load_client.c t/bench/load_client.h t/bench/load_stats.c t/bench/load_stats.h
t_bench_load_LDADD = $(EVENT_LIBS)
test_tools += t/bench/render_bench
t_bench_render_bench_SOURCES = t/bench/render_bench.c
t_bench_render_bench_LDADD = $(product_libs)
test_tools += t/bench/admit_load
t_bench_admit_load_SOURCES = t/bench/admit_load.c
t_bench_admit_load_LDADD = $(product_libs)
