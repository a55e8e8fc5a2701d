#include "tools/benchmarks/http/certificate.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

namespace bench {

namespace {

constexpr long valid_seconds = 24 * 60 * 60;

X509 *make_certificate(EVP_PKEY *key)
{
    X509 *made = X509_new();
    if (made == nullptr)
        return nullptr;
    X509_set_version(made, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made), 1);
    X509_gmtime_adj(X509_getm_notBefore(made), -valid_seconds);
    X509_gmtime_adj(X509_getm_notAfter(made), valid_seconds);
    X509_NAME *name = X509_get_subject_name(made);
    auto *host = reinterpret_cast<const unsigned char *>("localhost");
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, host, -1, -1, 0);
    X509_set_issuer_name(made, name);
    X509_set_pubkey(made, key);
    if (X509_sign(made, key, EVP_sha256()) != 0)
        return made;
    X509_free(made);
    return nullptr;
}

} // namespace

SSL_CTX *self_signed_context(unsigned rsa_bits)
{
    EVP_PKEY *key = rsa_bits != 0 ? EVP_RSA_gen(rsa_bits) : EVP_EC_gen("P-256");
    X509 *certificate = key != nullptr ? make_certificate(key) : nullptr;
    SSL_CTX *context = certificate != nullptr ? SSL_CTX_new(TLS_server_method()) : nullptr;
    bool usable = context != nullptr && SSL_CTX_use_certificate(context, certificate) == 1 &&
                  SSL_CTX_use_PrivateKey(context, key) == 1;
    X509_free(certificate);
    EVP_PKEY_free(key);
    if (usable)
        return context;
    SSL_CTX_free(context);
    return nullptr;
}

} // namespace bench
