/* An HTTPS server on the port: tls_server <port> <certificate.pem> <key.pem> */
#include <winsock2.h>
#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>

static struct bufferevent *new_connection(struct event_base *base, void *context)
{
    SSL *ssl = SSL_new(context);
    struct bufferevent *bev =
        ssl ? bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE) : NULL;
    if (!bev)
        abort(); /* evhttp would take NULL for a wish to go on without TLS */
    return bev;
}

static void on_request(struct evhttp_request *request, void *base)
{
    struct evbuffer *body = evbuffer_new();
    evbuffer_add_printf(body, "Hello over TLS, by %s\n", event_base_get_method(base));
    evhttp_send_reply(request, HTTP_OK, "OK", body);
    evbuffer_free(body);
}

int main(int count, char **arguments)
{
    WSADATA winsock;
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    struct event_config *config = event_config_new();
    struct event_base *base;
    struct evhttp *http;

    if (count != 4 || WSAStartup(MAKEWORD(2, 2), &winsock) || !context || !config ||
        SSL_CTX_use_certificate_chain_file(context, arguments[2]) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, arguments[3], SSL_FILETYPE_PEM) != 1)
        return 1;
    event_config_set_flag(config, EVENT_BASE_FLAG_STARTUP_IOCP);
    base = event_base_new_with_config(config);
    event_config_free(config);
    http = base ? evhttp_new(base) : NULL;
    if (!http || evhttp_bind_socket(http, "127.0.0.1", (unsigned short)atoi(arguments[1])))
        return 2;
    evhttp_set_bevcb(http, new_connection, context);
    evhttp_set_gencb(http, on_request, base);
    event_base_dispatch(base);
    return 0;
}
